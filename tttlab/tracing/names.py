"""Every span name, attribute and event that tttlab writes, once.

`gen_ai.*` follows the OpenTelemetry GenAI semantic conventions as of 2026-11 (repository
`open-telemetry/semantic-conventions-genai`, schema 1.42.0; all of it still "Development", so the strings stand here and
are not imported). Where the conventions have no name, tttlab's own namespace `tttlab.*` is used.
"""

from __future__ import annotations

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"
CONVENTION_DATE = "2026-11"

# --- operations and span names -------------------------------------------------------------------------------------
OPERATION = "gen_ai.operation.name"
OPERATION_RUN = "invoke_workflow"
OPERATION_CHAT = "chat"
OPERATION_TOOL = "execute_tool"
SPAN_PROPOSE = "propose"
SPAN_BRANCH = "branch"
SPAN_VERIFY = "verify"
SPAN_LIMIT = "limit"
SPAN_ALLOCATE = "allocate"
SPAN_DECIDE = "decide"

# --- GenAI conventions ---------------------------------------------------------------------------------------------
WORKFLOW_NAME = "gen_ai.workflow.name"
PROVIDER = "gen_ai.provider.name"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_TOP_K = "gen_ai.request.top_k"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_EFFORT = "gen_ai.request.reasoning.level"
REQUEST_STOP = "gen_ai.request.stop_sequences"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT = "gen_ai.usage.input_tokens"
USAGE_OUTPUT = "gen_ai.usage.output_tokens"
USAGE_CACHED = "gen_ai.usage.cache_read.input_tokens"
USAGE_THINKING = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
ERROR_TYPE = "error.type"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
EVALUATION_EVENT = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"

# --- runs ----------------------------------------------------------------------------------------------------------
RUN_ID = "tttlab.run.id"
MASKED = "tttlab.masked"  # on any span: how many times a credential was hidden in it
RUN_SEED = "tttlab.run.seed"
RUN_STATUS = "tttlab.run.status"  # ok | budget | stopped | failed
RUN_ERROR = "tttlab.run.error"
RUN_BUDGET = "tttlab.run.budget"  # {"tokens": 2000}
RUN_THINKING = "tttlab.run.thinking"  # {"effort": "high"} or {"thinking_budget": 4096}: what the model was told
RUN_LABELS = "tttlab.run.labels"  # {"sweep": "samples", "samples": 8}
RUN_OPTIONS = "tttlab.run.options"  # {"model": {"value": ..., "source": "environment"}}
RUN_ENVIRONMENT = "tttlab.run.environment"  # package versions, Python, platform, git commit
STRATEGY_NAME = "tttlab.strategy.name"
STRATEGY_PARAMETERS = "tttlab.strategy.parameters"
MODEL_NAME = "tttlab.model.name"
MODEL_IDENTITY = "tttlab.model.identity"
MODEL_DIGEST = "tttlab.model.digest"  # of the weights, where they are a file
MODEL_FACTS = "tttlab.model.facts"  # {"can": {...}, "provider": ...}: what stands in for it when a run is replayed
MODEL_PARAMETERS = "tttlab.model.parameters"  # how many weights it has, where that is known
PROBLEM_ID = "tttlab.problem.id"
PROBLEM_PROMPT = "tttlab.problem.prompt"
PROBLEM_REFERENCE = "tttlab.problem.reference"
PROBLEM_EXTRACTOR = "tttlab.problem.extractor"  # name@version
PROBLEM_CHECK = "tttlab.problem.check"  # name@version of what says whether an answer is right

# --- calls ---------------------------------------------------------------------------------------------------------
CALL_ROLE = "tttlab.call.role"  # generator | proposer | verifier | judge | refiner ...
CALL_STATUS = "tttlab.call.status"  # ok | failed | cancelled
CALL_CANCELLED_BY = "tttlab.call.cancelled_by"  # strategy | budget | user
CALL_DIGEST = "tttlab.call.digest"  # with branch path and ordinal: the identity of the call
CALL_ORDINAL = "tttlab.call.ordinal"
CALL_DELIVERED = "tttlab.call.delivered"  # the run-wide sequence number at which the strategy was given it
CALL_BEGUN = "tttlab.call.begun"  # the run-wide sequence number at which it began
CALL_ENDED = "tttlab.call.ended"  # and at which its stream ended
CALL_NOTES = "tttlab.call.notes"
REASONING_VISIBILITY = "tttlab.reasoning.visibility"
REASONING_SOURCE = "tttlab.reasoning.channel_source"  # model | strategy
REASONING_ITEMS = "tttlab.reasoning.items"  # JSON: [[wire format, what it wants back with this turn]]
TOKENS_GRANULARITY = "tttlab.tokens.granularity"  # token | chunk
LOGPROB_STAGE = "tttlab.logprobs.stage"
LOGPROB_MEAN = "tttlab.logprobs.mean"
USAGE_REPORTS = "tttlab.usage.reports"  # JSON: the host's own counts, each with when it came
USAGE_ESTIMATED = "tttlab.usage.estimated"  # true where some of the counts are by the text's length
USAGE_CALLS = "tttlab.usage.calls"
USAGE_DOLLARS = "tttlab.usage.dollars"  # absent where no price is known
PRICE_SOURCE = "tttlab.cost.source"  # whose price, of what version and date
SAMPLING_THINKING_BUDGET = "tttlab.request.thinking_budget"
SAMPLING_MIN_P = "tttlab.request.min_p"
SAMPLING_LOGPROBS = "tttlab.request.logprobs"
SAMPLING_GRAMMAR = "tttlab.request.grammar"

# --- branches ------------------------------------------------------------------------------------------------------
BRANCH_PATH = "tttlab.branch.path"  # on branches and on the calls they make; "" is the root
BRANCH_PARENT = "tttlab.branch.parent_path"
BRANCH_DEPTH = "tttlab.branch.depth"
BRANCH_INDEX = "tttlab.branch.index"
BRANCH_STATE = "tttlab.branch.state"  # open | expanded | pruned | selected | failed
BRANCH_SCORE = "tttlab.branch.score"
BRANCH_PREFIX = "tttlab.branch."  # what a strategy adds of its own

# --- proposals and votes -------------------------------------------------------------------------------------------
ANSWER_VALUE = "tttlab.answer.value"
ANSWER_RAW = "tttlab.answer.raw"
ANSWER_CONFIDENCE = "tttlab.answer.confidence"
ANSWER_CORRECT = "tttlab.answer.correct"  # only where the problem has a reference or a check
ANSWER_SEQUENCE = "tttlab.answer.sequence"
ANSWER_NESTED = "tttlab.answer.nested"  # proposed by a strategy inside another one: no point of the run's curve
SPENT_PREFIX = "tttlab.spent."  # prompt_tokens, cached_tokens, output_tokens, thinking_tokens, calls, dollars
BASIS_PREFIX = "tttlab.basis."  # the same, of the calls that the answer rests on
VOTE_TALLY = "tttlab.vote.tally"  # {"56": 9.0, "54": 2.0}

# --- verification --------------------------------------------------------------------------------------------------
VERIFIER_NAME = "tttlab.verifier.name"
VERIFIER_PARAMETERS = "tttlab.verifier.parameters"
VERDICT_CANDIDATE = "tttlab.verdict.candidate"
VERDICT_SCORE = "tttlab.verdict.score"
VERDICT_PASSED = "tttlab.verdict.passed"
VERDICT_EXPLANATION = "tttlab.verdict.explanation"
VERDICT_ERROR = "tttlab.verdict.error"
VERDICT_SEQUENCE = "tttlab.verdict.sequence"

# --- programs that were run ----------------------------------------------------------------------------------------
CODE_OUTCOME = "tttlab.code.outcome"  # ok | error | timeout | memory | output | killed
CODE_EXIT = "tttlab.code.exit_code"
CODE_SECONDS = "tttlab.code.seconds"
CODE_ISOLATION = "tttlab.code.isolation"  # bubblewrap | namespaces | limits, and seccomp
CODE_LIMITS = "tttlab.code.limits"  # {"seconds": 10.0, "memory": 1024}

# --- limits --------------------------------------------------------------------------------------------------------
LIMIT_BUDGET = "tttlab.limit.budget"
LIMIT_EXHAUSTED = "tttlab.limit.exhausted"  # the unit that ran out

# --- replay --------------------------------------------------------------------------------------------------------
OPERATION_REPLAY = "replay"  # of a run that only repeats a recorded one: no run of its own
REPLAY_MODE = "tttlab.replay.mode"  # reuse | only
REPLAY_OF = "tttlab.replay.of"  # on a run: the id of the run it repeats; on a call: the span id of the recorded one
REPLAY_OF_RUN = "tttlab.replay.of_run"  # on a call: the run that recorded it
REPLAY_CALLS = "tttlab.replay.calls"  # how many calls of the run were replayed
REPLAY_NEW_TOKENS = "tttlab.replay.new_tokens"  # prompt and output tokens of the calls that were not
REPLAY_DIFFERENCE = "tttlab.replay.difference"  # why a run that could repeat a recorded one did not

# --- imported from another program's log ---------------------------------------------------------------------------
IMPORTED_FORMAT = "tttlab.imported.format"  # on a run: the kind of log that it was read from
IMPORTED_FILE = "tttlab.imported.file"  # the file's name
IMPORTED_DIGEST = "tttlab.imported.digest"  # the file's, of its bytes
IMPORTED_VERSION = "tttlab.imported.version"  # the importer's
IMPORTED_PLACE = "tttlab.imported.place"  # where the run stands in the file

# --- a budget spread over problems ---------------------------------------------------------------------------------
ALLOCATION_RULE = "tttlab.allocation.rule"  # posterior | difficulty | uniform
ALLOCATION_BUDGET = "tttlab.allocation.budget"  # {"tokens": 20000}
ALLOCATION_UNIT = "tttlab.allocation.unit"  # of costs: tokens | calls | seconds | dollars
ALLOCATION_OPTIONS = "tttlab.allocation.options"  # {"minimum": 2, "maximum": 40, ...}
ALLOCATION_PROBLEMS = "tttlab.allocation.problems"  # how many
ALLOCATION_EXHAUSTED = "tttlab.allocation.exhausted"  # the unit that ran out
DECISION_NUMBER = "tttlab.decision.number"  # from 1, over the whole allocation
DECISION_ROUND = "tttlab.decision.round"  # decisions of one round are drawn at once
DECISION_ACTION = "tttlab.decision.action"  # sample | leave
DECISION_REASON = "tttlab.decision.reason"
DECISION_PROBLEM = "tttlab.decision.problem_id"
DECISION_RUN = "tttlab.decision.run_id"  # of another trace; the span links to it
DECISION_LEADER = "tttlab.decision.leader"
DECISION_VOTES = "tttlab.decision.votes"  # {"56": 3, "54": 2}
DECISION_SEEN = "tttlab.decision.seen"
DECISION_PENDING = "tttlab.decision.pending"
DECISION_STABILITY = "tttlab.decision.stability"
DECISION_GAIN = "tttlab.decision.gain"
DECISION_SHARE = "tttlab.decision.share"
DECISION_PRIORITY = "tttlab.decision.priority"
DECISION_SPENT = "tttlab.decision.spent"
DECISION_COST = "tttlab.decision.cost"  # predicted, of one sample
DECISION_LEFT = "tttlab.decision.left"
