/** Words and command lines of ACLs and quotas. */

import { quoted } from "../../../shared/text.ts";
import { script } from "./commands.ts";
import type { Acl, Cluster, Quota } from "./types.ts";

const RESOURCES: Record<string, string> = {
  topic: "--topic", group: "--group", cluster: "--cluster", transactional_id: "--transactional-id",
  delegation_token: "--delegation-token", user: "--user-principal",
};

/** Return the kafka-acls command that adds or removes one rule. */
export function aclCommand(cluster: Cluster, acl: Acl, action: string): string {
  const kind = acl.resourceType.toLowerCase();
  const allow = acl.permission.toLowerCase() === "deny" ? "deny" : "allow";
  return [
    script("kafka-acls", cluster), action, `--${allow}-principal`, quoted(acl.principal),
    `--${allow}-host`, quoted(acl.host), "--operation", quoted(acl.operation), RESOURCES[kind] ?? `--${kind}`,
    ...(kind === "cluster" ? [] : [quoted(acl.resourceName)]), "--resource-pattern-type", acl.patternType.toLowerCase(),
  ].join(" ");
}

/** Tell whom a quota is for: "user alice, client-id reports"; a name that is null means everybody without an own one. */
export function entityText(entity: Quota["entity"]): string {
  return entity.map((one) => `${one.type} ${one.name ?? "(default)"}`).join(", ");
}

/** Return the kafka-configs command for an entity, without what it does. */
export function entityCommand(cluster: Cluster, entity: Quota["entity"]): string {
  const TYPES: Record<string, string> = { user: "users", "client-id": "clients", ip: "ips" };
  const parts = entity.map(
    (one) => `--entity-type ${TYPES[one.type] ?? one.type} ${one.name === null ? "--entity-default" : `--entity-name ${quoted(one.name)}`}`,
  );
  return `${script("kafka-configs", cluster)} --alter ${parts.join(" ")}`;
}
