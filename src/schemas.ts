import * as z from 'zod'
import { FIELDS, type Field, type FieldName } from './state/fields.js'
import { foldKey } from './state/go-text.js'
import type { Labels } from './state/labels.js'
import { type SandboxState as State, UNKNOWN_KEYS, type UnknownKeys } from './state/sandbox-state.js'
import { isUnknownKeys } from './state/validate.js'

// The subpath `sandbox-state/schemas`. The rest of the package does not import it, since zod takes long to load.

type FieldSchemas = {
  [Name in Exclude<FieldName, 'labels' | 'data'>]: z.ZodType<State[Name], State[Name]>
} & {
  labels: z.ZodExactOptional<z.ZodType<Labels, Labels>>
  data: z.ZodExactOptional<z.ZodType<unknown, unknown>>
}

function fieldSchema(field: Field): z.ZodType {
  const isValid = (value: unknown) => field.check(value) !== undefined
  const schema = z.custom(isValid, `must be ${field.expected}`).overwrite(field.check)
  if (field.written === 'if present') return schema.exactOptional()
  return field.written === 'always' ? schema : schema.default(field.zero)
}

/**
 * A whole state as a program gives it, such as the result of an update function: strict, no coercion, no other keys.
 * A field that a file does not have may be absent: an empty `cgroupPath`, and `persistVersion`. The unknown keys stay.
 */
export const SandboxState = z.strictObject({
  ...(Object.fromEntries(FIELDS.map(field => [field.name, fieldSchema(field)])) as FieldSchemas),
  [UNKNOWN_KEYS]: z.custom<UnknownKeys>(isUnknownKeys).exactOptional(),
})
export type SandboxState = State

// As Go's encoding/json decodes a struct: keys in any case, and the zero value for a field that is absent or null.

function orZero<Type extends z.ZodType, Zero>(type: Type, zero: Zero) {
  return type.nullish().transform(value => value ?? zero)
}

const wellFormed = z.string().overwrite(value => value.toWellFormed())
const string = orZero(wellFormed, '')
const boolean = orZero(z.boolean(), false)

function uint(max: number) {
  const schema = z.int().min(0).max(max)
  const withoutNegativeZero = schema.overwrite(value => value + 0)
  return orZero(withoutNegativeZero, 0)
}

/** The zero value of a slice is `null`: an empty slice is another value, and is written differently. */
function slice<Element extends z.ZodType>(element: Element) {
  return orZero(z.array(element), null)
}

/** A struct: its fields in their order, their names in any case; other keys are dropped. */
function struct<Shape extends z.ZodRawShape>(shape: Shape) {
  const names = new Map(Object.keys(shape).map(name => [foldKey(name), name]))
  const withFieldNames = (value: unknown) => {
    if (value === null) return {}
    if (typeof value !== 'object' || Array.isArray(value)) return value
    const named = Object.entries(value).map(([key, field]) => [names.get(foldKey(key)), field])
    return Object.fromEntries(named.filter(([name]) => name !== undefined))
  }
  return z.preprocess(withFieldNames, z.object(shape)).prefault({})
}

/** An environment variable of a command (Kata's `EnvVar`). */
export const EnvVar = struct({ Var: string, Value: string })
export type EnvVar = z.infer<typeof EnvVar>

/** The capabilities that a process keeps inside the container (Kata's `LinuxCapabilities`), such as `CAP_KILL`. */
export const LinuxCapabilities = struct({
  /** The limit of what the process may ever gain. */
  Bounding: slice(string),
  /** What the kernel grants now. */
  Effective: slice(string),
  /** What survives an execve. */
  Inheritable: slice(string),
  /** The limit of what may become effective. */
  Permitted: slice(string),
  /** What is kept by a program without privileges of its own. */
  Ambient: slice(string),
})
export type LinuxCapabilities = z.infer<typeof LinuxCapabilities>

/** A command to run in a running container (Kata's `Cmd`). A list that Go has as nil is `null`. */
export const Cmd = struct({
  Args: slice(string),
  Envs: slice(EnvVar),
  SupplementaryGroups: slice(string),
  /** A user's name or number. Always text: a number's meaning is known only inside the container's image. */
  User: string,
  /** A group's name or number, as text for the same reason. */
  PrimaryGroup: string,
  WorkDir: string,
  Console: string,
  Capabilities: LinuxCapabilities,
  Interactive: boolean,
  Detach: boolean,
  NoNewPrivileges: boolean,
})
export type Cmd = z.infer<typeof Cmd>

/** The resources of a VM (Kata's `Resources`). */
export const Resources = struct({
  /** Memory in MiB: Go's `uint`, as far as JavaScript counts exactly. */
  Memory: uint(Number.MAX_SAFE_INTEGER),
  /** Slots for hotplugged memory: Go's `uint8`, 0 to 255. */
  MemorySlots: uint(255),
})
export type Resources = z.infer<typeof Resources>

/** A folder that the host shares with the VM (Kata's `Volume`), as `parseVolumes` returns it. */
export const Volume = struct({ MountTag: string, HostPath: string })
export type Volume = z.infer<typeof Volume>

/** A list of volumes (Kata's `Volumes`). */
export const Volumes = z.array(Volume)
export type Volumes = z.infer<typeof Volumes>

/** A socket between the host and the processes inside the VM (Kata's `Socket`), as `parseSockets` returns it. */
export const Socket = struct({ DeviceID: string, ID: string, HostPath: string, Name: string })
export type Socket = z.infer<typeof Socket>

/** A list of sockets (Kata's `Sockets`). */
export const Sockets = z.array(Socket)
export type Sockets = z.infer<typeof Sockets>
