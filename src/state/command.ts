import type * as z from 'zod'
import { goBool, goSlice, goString, goStruct } from './go-struct.js'

/** An environment variable of a command (Kata's `EnvVar`). */
export const EnvVar = goStruct({ Var: goString, Value: goString })
export type EnvVar = z.infer<typeof EnvVar>

/** The capabilities that a process keeps inside the container (Kata's `LinuxCapabilities`), such as `CAP_KILL`. */
export const LinuxCapabilities = goStruct({
  /** The limit of what the process may ever gain. */
  Bounding: goSlice(goString),
  /** What the kernel grants now. */
  Effective: goSlice(goString),
  /** What survives an execve. */
  Inheritable: goSlice(goString),
  /** The limit of what may become effective. */
  Permitted: goSlice(goString),
  /** What is kept by a program without privileges of its own. */
  Ambient: goSlice(goString),
})
export type LinuxCapabilities = z.infer<typeof LinuxCapabilities>

/** A command to run in a running container (Kata's `Cmd`). A list that Go has as nil is `null`. */
export const Cmd = goStruct({
  Args: goSlice(goString),
  Envs: goSlice(EnvVar),
  SupplementaryGroups: goSlice(goString),
  /** A user's name or number. Text in any case: a number's meaning is known only inside the container's image. */
  User: goString,
  /** A group's name or number, as text for the same reason. */
  PrimaryGroup: goString,
  WorkDir: goString,
  Console: goString,
  Capabilities: LinuxCapabilities,
  Interactive: goBool,
  Detach: goBool,
  NoNewPrivileges: goBool,
})
export type Cmd = z.infer<typeof Cmd>
