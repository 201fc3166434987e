export {
  CLOSE_CODES,
  type ErrorCode,
  FINAL_CODES,
  mayComeBack,
  OrionError,
  OUTCOMES,
  type Outcome,
  type Payload,
} from "./codes.js";
export type * from "./types.js";
