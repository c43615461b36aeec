import { createHash } from 'node:crypto'

/** What the keys of a store are called. One place for each kind of key lets a list or a watch ask for one kind only. */
export class Keys {
  /** Below it one key for each sandbox: the state, as in a file. */
  readonly states: string
  /** Below it a key for each recorded change. */
  readonly histories: string

  constructor(
    /** Such as `/sandbox-state`. */
    readonly prefix: string,
  ) {
    this.states = `${prefix}/state/`
    this.histories = `${prefix}/history/`
  }

  state(id: string): string {
    return `${this.states}${id}`
  }

  /** What is left of a state's key. */
  idOf(stateKey: string): string {
    return stateKey.slice(this.states.length)
  }

  historyOf(id: string): string {
    return `${this.histories}${id}/`
  }

  /** @param seq the change's number, from 1; padded so that the keys sort as the numbers do */
  record(id: string, seq: bigint): string {
    return `${this.historyOf(id)}${seq.toString().padStart(19, '0')}`
  }

  /**
   * The key that every deletion of a sandbox writes and every creation of it compares, so that a creation from
   * before a deletion never takes effect after it. One key for each id would be left for ever; 256 keys are few
   * enough to stay, and enough for two sandboxes to be in each other's way rarely.
   */
  deletions(id: string): string {
    return `${this.prefix}/deletions/${createHash('sha256').update(id).digest('hex').slice(0, 2)}`
  }
}

/** The end of the range of all keys that begin with a text, which ends in a slash: the slash's successor. */
export function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`
}
