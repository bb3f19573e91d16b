/** What the console's REST interface answers. 64-bit numbers are strings of digits. */

export interface Session {
  user: string | null;
  login: "none" | "password" | "header";
  readOnly: boolean;
  csrf: string;
  version: string;
}

export interface Cluster {
  name: string;
  bootstrap: string;
  /** The property file that it is reached with. */
  commandConfig: string | null;
  state: "up" | "down";
  message: string | null;
  brokers: number;
  clusterId: string | null;
  readOnly: boolean;
  /** Null while the cluster is down. */
  supports: Record<string, boolean> | null;
}

export interface TopicRow {
  name: string;
  id: string | null;
  internal: boolean;
  partitions: number;
  replication: number;
  underReplicated: number;
  offline: number;
}

export interface TopicSummary {
  records: string | null;
  bytes: string | null;
  cleanup: string | null;
  error: string | null;
}

export interface Partition {
  id: number;
  leader: number;
  replicas: number[];
  isr: number[];
  begin: string | null;
  end: string | null;
  bytes: string | null;
  leaderEpoch: number | null;
}

export interface Config {
  name: string;
  value: string | null;
  default: boolean;
  source: string;
  readOnly: boolean;
  sensitive: boolean;
  documentation: string | null;
  type: string;
  synonyms: { name: string; value: string | null; source: string }[];
}

export interface Topic {
  name: string;
  id: string | null;
  internal: boolean;
  partitions: Partition[];
  configs: Config[];
}

export interface Part {
  kind: "null" | "text" | "json" | "avro" | "protobuf" | "msgpack" | "bytes";
  text: string;
  size: number;
  cut: boolean;
  error: string | null;
  schema: string | null;
}

export interface KafkaRecord {
  partition: number;
  offset: string;
  timestamp: string;
  timestampType: "create" | "append";
  key: Part;
  value: Part;
  headers: { name: string; value: Part }[];
  size: string;
}

export interface Progress {
  scanned: string;
  bytes: string;
  matched: number;
  elapsedMs: number;
  partitions: Record<string, { at: string; end: string }>;
  errors: number;
  lastError: string | null;
}

export type ScanLine =
  | ({ t: "record" } & KafkaRecord)
  | ({ t: "progress" } & Progress)
  | ({ t: "end"; reason: "limit" | "end" | "stopped" | "error" | "time"; message: string | null; next: Record<string, string> } & Progress);

export interface GroupRow {
  id: string;
  type: string;
  state: string;
  protocol: string | null;
}

export interface GroupSummary {
  members: number | null;
  topics: number | null;
  lag: string | null;
  state: string | null;
  error: string | null;
}

export interface GroupOffset {
  topic: string;
  partition: number;
  committed: string | null;
  begin: string | null;
  end: string | null;
  lag: string | null;
  memberId: string | null;
  metadata: string | null;
}

export interface Group {
  id: string;
  type: string;
  state: string;
  coordinator: number | null;
  protocol: string | null;
  members: {
    id: string;
    instanceId: string | null;
    clientId: string;
    host: string;
    assignment: { topic: string; partitions: number[] }[];
  }[];
  offsets: GroupOffset[];
}

export interface OffsetChange {
  topic: string;
  partition: number;
  before: string | null;
  after: string;
  begin: string | null;
  end: string | null;
}

export interface Brokers {
  clusterId: string | null;
  controller: number | null;
  brokers: {
    id: number;
    host: string;
    port: number;
    rack: string | null;
    leaders: number;
    replicas: number;
    bytes: string | null;
    logDirs: { path: string; bytes: string | null; total: string | null; usable: string | null; error: string | null }[];
    version: string | null;
    error: string | null;
  }[];
  quorum: {
    leader: number;
    epoch: number | string;
    highWatermark: string;
    voters: { id: number; logEndOffset: string; lag?: string | null }[];
    observers: { id: number; logEndOffset: string; lag?: string | null }[];
  } | null;
  features: { name: string; min: number; max: number; finalized: number | null }[];
}

export interface Acl {
  resourceType: string;
  resourceName: string;
  patternType: string;
  principal: string;
  host: string;
  operation: string;
  permission: string;
}

export interface Quota {
  entity: { type: string; name: string | null }[];
  values: Record<string, number>;
}

export interface User {
  name: string;
  mechanisms: { name: string; iterations: number }[];
}

/** What an access page gets from a broker that has none of it. */
export interface Unsupported {
  supported?: boolean;
  message?: string;
}
