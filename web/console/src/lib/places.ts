/** Addresses of the pages, and of the REST interface. */

import { address, type Query } from "../../../shared/router.svelte.ts";

export const place = {
  clusters: () => "/clusters",
  section: (cluster: string, section: string) => address(["c", cluster, section]),
  topics: (cluster: string, query: Query = {}) => address(["c", cluster, "topics"], query),
  topic: (cluster: string, topic: string, tab = "messages", query: Query = {}) =>
    address(["c", cluster, "topics", topic, tab], query),
  group: (cluster: string, group: string) => address(["c", cluster, "groups", group]),
};

export const api = {
  cluster: (cluster: string, ...rest: (string | number)[]) => address(["api", "clusters", cluster, ...rest]),
  query: (path: string, query: Query) => path + address([], query).slice(1),
};
