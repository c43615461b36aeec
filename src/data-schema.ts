import { reason } from './errno.js'
import { StateStoreError, withSubject } from './errors.js'
import { invalidState } from './state/fields.js'
import type { SandboxFields, SandboxState } from './state/sandbox-state.js'
import { show, visible } from './state/show.js'
import { validState } from './state/validate.js'

/**
 * Validates each state's `data` and types it: any Standard Schema (version 1), for example from zod, valibot or arktype.
 * It must be synchronous. Its result is stored as JSON, and it must accept that JSON when the state is read again. Defaults
 * work; so does a date, if the schema also accepts it as text.
 */
export interface DataSchema<Data = unknown, Input = Data> {
  /** The interface that Standard Schema requires. */
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    /** Validates a copy of the data. Must not return a promise. If it throws on data from a file, that is `INVALID_STATE`. */
    readonly validate: (value: unknown) => SchemaResult<Data> | Promise<SchemaResult<Data>>
    /** What it takes, which `create` may be given, and what it gives, which is stored. */
    readonly types?: { readonly input: Input; readonly output: Data } | undefined
  }
}

/** The result of a validation: the typed value, or the issues. */
export type SchemaResult<Data> =
  | { readonly value: Data; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** One issue that a schema reports, and where. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A state as a store with a schema returns it: `data` has that schema's type. Without a schema, a plain `SandboxState`. */
// Whether Data is not `unknown`. Asked as `unknown extends Data`, a SandboxStore<Data> would not be assignable to SandboxStore.
export type StateOf<Data> = [Data] extends [
  object | string | number | boolean | bigint | symbol | null | undefined,
]
  ? SandboxState & { data: Data }
  : SandboxState

/** {@link SandboxFields}, with data as the store's schema takes it: required unless the schema takes undefined. */
export type FieldsOf<Input> = Omit<SandboxFields, 'data'> &
  (undefined extends Input ? { data?: Input } : { data: Input })

/** @throws TypeError when it is not a Standard Schema, or returns a promise */
export function assertDataSchema(schema: unknown): asserts schema is DataSchema {
  const standard: unknown =
    (typeof schema === 'object' || typeof schema === 'function') && schema !== null
      ? Reflect.get(schema, '~standard')
      : undefined
  const validate: unknown =
    typeof standard === 'object' && standard !== null ? Reflect.get(standard, 'validate') : undefined
  if (typeof validate !== 'function')
    throw new TypeError(`data must be a Standard Schema, not ${show(schema)}`)
  let result: unknown
  try {
    result = Reflect.apply(validate, standard, [undefined])
  } catch {
    return // It may throw on undefined, and still accept the data.
  }
  assertSynchronous(result) // Catches most asynchronous schemas early.
}

function assertSynchronous(result: unknown): void {
  if (typeof result !== 'object' || result === null || !('then' in result)) return
  if (typeof result.then !== 'function') return
  result.then(undefined, () => {}) // Nobody else would handle its rejection.
  throw new TypeError(
    'the schema of data must not be asynchronous, nor throw, which zod turns into a promise',
  )
}

/** @throws StateStoreError `INVALID_STATE` with the path of what is wrong; TypeError; what the schema throws */
function typed(schema: DataSchema, { data, ...rest }: SandboxState): SandboxState {
  // A copy, since a schema may change its input, as Ajv does to fill in defaults. Not by structuredClone, which returns
  // objects of another realm in Jest, and is missing in jsdom.
  const copy: unknown = data === undefined ? undefined : JSON.parse(JSON.stringify(data))
  const result: unknown = schema['~standard'].validate(copy)
  assertSynchronous(result)
  if (!isResult(result)) {
    throw new TypeError(`the schema of data must return { value } or { issues }, not ${show(result)}`)
  }
  if (result.issues) {
    throw invalidState(visible(result.issues.map(describe).join('; ') || 'data: refused'))
  }
  return result.value === undefined ? rest : { ...rest, data: result.value }
}

function isResult(result: unknown): result is SchemaResult<unknown> {
  if (typeof result !== 'object' || result === null) return false
  return 'value' in result || ('issues' in result && Array.isArray(result.issues))
}

/**
 * A state that was read, with its data typed by the schema.
 * @throws StateStoreError `INVALID_STATE` with the path of what is wrong, also if the schema throws: in a list, the data of
 * one sandbox must not hide the others.
 */
export function withTypedData(schema: DataSchema | undefined, state: SandboxState, id: string): SandboxState {
  if (schema === undefined) return state
  try {
    return typed(schema, state)
  } catch (error) {
    const [message, cause] =
      error instanceof StateStoreError ? [error.message] : [`data: ${visible(reason(error))}`, error]
    throw new StateStoreError('INVALID_STATE', `sandbox ${id}: ${message}`, { id, cause })
  }
}

/**
 * A state that is to be written, with its data as JSON, which the schema must accept again.
 * @throws StateStoreError `INVALID_STATE` with the path of what is wrong; what the schema throws
 */
export function withCheckedData(
  schema: DataSchema | undefined,
  state: SandboxState,
  id: string,
): SandboxState {
  if (schema === undefined) return state
  return withSubject(`sandbox ${id}`, { id }, () => {
    const checked = validState(typed(schema, state))
    typed(schema, checked)
    return checked
  })
}

function describe({ message, path = [] }: SchemaIssue): string {
  const keys = path.map(part => (typeof part === 'object' ? part.key : part))
  return `${['data', ...keys].map(String).join('.')}: ${message}`
}
