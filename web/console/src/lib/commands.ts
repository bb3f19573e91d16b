/** Command lines that do what the page is about to do. */

import { quoted } from "../../../shared/text.ts";
import type { Cluster } from "./types.ts";

/** Return a script of Kafka's with how it reaches the cluster. */
export function script(name: string, cluster: Pick<Cluster, "bootstrap" | "commandConfig">): string {
  const config = cluster.commandConfig === null ? "" : ` --command-config ${quoted(cluster.commandConfig)}`;
  return `${name} --bootstrap-server ${quoted(cluster.bootstrap)}${config}`;
}
