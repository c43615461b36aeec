import { types } from 'node:util'
import { assertOptions } from '../options.js'

/** How to reach an etcd that asks for more than its address. */
export interface EtcdOptions {
  /** The certificates of the authorities to trust, in PEM, instead of the system's. For `etcds://`. */
  readonly ca?: string | Uint8Array
  /** The client's certificate in PEM, for an etcd with `--client-cert-auth`; with `key`. It must not have a CN. */
  readonly cert?: string | Uint8Array
  /** The client's private key in PEM. */
  readonly key?: string | Uint8Array
  /** A user of etcd; with `password`. */
  readonly user?: string
  /** The user's password; with `user`. */
  readonly password?: string
}

/** @throws TypeError for an option that is not known, of a wrong type, or without the one that it needs */
export function checkEtcdOptions(given: unknown, tls: boolean): EtcdOptions {
  if (given === undefined) return {}
  assertOptions(given, 'ca', 'cert', 'key', 'user', 'password')
  const options: EtcdOptions = { ...(given as EtcdOptions) }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (name === 'user' || name === 'password') {
      if (typeof value === 'string' && value !== '') continue
      throw new TypeError(`the etcd ${name} must be a string that is not empty`)
    }
    // The bytes may come from another realm, as in Jest.
    const isPem = typeof value === 'string' || types.isUint8Array(value)
    if (!isPem) throw new TypeError(`the etcd option ${name} must be PEM`)
    if (!tls) throw new TypeError(`the etcd option ${name} is for etcds://, which is etcd over TLS`)
  }
  for (const [one, other] of [['cert', 'key'] as const, ['user', 'password'] as const]) {
    if ((options[one] === undefined) === (options[other] === undefined)) continue
    throw new TypeError(`the etcd options ${one} and ${other} must be given together`)
  }
  return options
}
