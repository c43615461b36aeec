import { withSubject } from './errors.js'
import { invalidState } from './state/fields.js'
import type { SandboxState } from './state/sandbox-state.js'
import { show, visible } from './state/show.js'
import { validState } from './state/validate.js'

/**
 * What validates and types the `data` of each state: any schema that implements Standard Schema, version 1, such as one
 * of zod, valibot or arktype. It must be synchronous. What it returns is kept as JSON, which it must accept when it reads that
 * back: a default is fine, and so is a date that it also takes as text.
 */
export interface DataSchema<Data = unknown> {
  /** What Standard Schema asks of a schema. */
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    /** Validates a value. A promise is refused. */
    readonly validate: (value: unknown) => SchemaResult<Data> | Promise<SchemaResult<Data>>
    readonly types?: { readonly input: unknown; readonly output: Data } | undefined
  }
}

/** The result of a validation: the value as the schema has it, or the issues with it. */
export type SchemaResult<Data> =
  | { readonly value: Data; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** One thing that a schema finds wrong, and where. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A state as a store with a schema returns it: `data` has that schema's type. Without a schema, a plain `SandboxState`. */
export type StateOf<Data> = unknown extends Data ? SandboxState : SandboxState & { data: Data }

/** @throws TypeError when it is not a Standard Schema, or answers with a promise */
export function assertDataSchema(schema: unknown): asserts schema is DataSchema {
  const standard: unknown =
    (typeof schema === 'object' || typeof schema === 'function') && schema !== null
      ? Reflect.get(schema, '~standard')
      : undefined
  const validate: unknown =
    typeof standard === 'object' && standard !== null ? Reflect.get(standard, 'validate') : undefined
  if (typeof validate !== 'function')
    throw new TypeError(`data must be a Standard Schema, not ${show(schema)}`)
  resultOf(schema as DataSchema, undefined) // An asynchronous one often shows at once.
}

function resultOf<Data>(schema: DataSchema<Data>, value: unknown): SchemaResult<Data> {
  const result = schema['~standard'].validate(value)
  if (!('then' in result)) return result
  result.then(undefined, () => {}) // Nobody waits for it.
  throw new TypeError('the schema of data must not be asynchronous: a state is checked while it is locked')
}

/**
 * A state with its data as the schema has it.
 * @throws StateStoreError `INVALID_STATE` with the path of what is wrong
 */
export function withTypedData(schema: DataSchema | undefined, state: SandboxState, id: string): SandboxState {
  if (schema === undefined) return state
  const result = resultOf(schema, state.data)
  if (result.issues !== undefined) {
    const wrong = visible(result.issues.map(describe).join('; '))
    return withSubject(`sandbox ${id}`, { id, cause: undefined }, () => {
      throw invalidState(wrong)
    })
  }
  const { data: _, ...rest } = state
  return result.value === undefined ? rest : { ...rest, data: result.value }
}

/** As {@link withTypedData}, for a state that is to be written: as JSON, which the schema must accept in its turn. */
export function withCheckedData(
  schema: DataSchema | undefined,
  state: SandboxState,
  id: string,
): SandboxState {
  if (schema === undefined) return state
  const checked = validState(withTypedData(schema, state, id))
  withTypedData(schema, checked, id)
  return checked
}

function describe({ message, path = [] }: SchemaIssue): string {
  const keys = path.map(part => (typeof part === 'object' ? part.key : part))
  return `${['data', ...keys].map(String).join('.')}: ${message}`
}
