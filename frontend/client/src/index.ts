export { connect, OrionClient } from "./client.js";
export {
  type ErrorCode,
  OrionError,
  type Outcome,
  type Payload,
} from "./codes.js";
export type * from "./types.js";
