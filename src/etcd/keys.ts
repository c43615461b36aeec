import { createHash } from 'node:crypto'

/** The names of a store's keys. Each kind of key has a place of its own, so that a list or a watch can ask for one kind. */
export class Keys {
  /** Below it one key for each sandbox: the state, as in a file. */
  readonly states: string
  /** Below it a key for each recorded change. */
  readonly histories: string
  /** Below it one key for each sandbox that has an owner: who that is. */
  readonly owners: string
  /** Below it one key for each sandbox whose owner lives, with its lease. */
  readonly living: string

  /** @param prefix such as `/sandbox-state` */
  constructor(private readonly prefix: string) {
    this.states = `${prefix}/state/`
    this.histories = `${prefix}/history/`
    this.owners = `${prefix}/owner/`
    this.living = `${prefix}/alive/`
  }

  state(id: string): string {
    return `${this.states}${id}`
  }

  /** The sandbox of a state's key. */
  idOf(stateKey: string): string {
    return stateKey.slice(this.states.length)
  }

  owner(id: string): string {
    return `${this.owners}${id}`
  }

  alive(id: string): string {
    return `${this.living}${id}`
  }

  /** Two ranges for the sandboxes from one to another: the records of their owners, and which of these are alive. */
  ownersBetween(first: string, last: string): readonly [records: KeyRange, alive: KeyRange] {
    const between = (place: string) => ({ key: `${place}${first}`, end: `${place}${last}\0` })
    return [between(this.owners), between(this.living)]
  }

  historyOf(id: string): string {
    return `${this.histories}${id}/`
  }

  /** @param seq the change's number, from 1; padded so that the keys sort as the numbers do */
  record(id: string, seq: bigint): string {
    return `${this.historyOf(id)}${seq.toString().padStart(19, '0')}`
  }

  /**
   * The key that every deletion of a sandbox writes and every creation compares, so that a creation that was sent
   * before a deletion never takes effect after it. A key for each id would stay forever; 256 keys are few enough to
   * stay, and enough that two sandboxes rarely share one.
   */
  deletions(id: string): string {
    return `${this.prefix}/deletions/${createHash('sha256').update(id).digest('hex').slice(0, 2)}`
  }
}

/** Keys from one up to another, which is not in it. */
interface KeyRange {
  readonly key: string
  readonly end: string
}

/** The range of all keys that begin with a text that ends in a slash: up to the slash's successor. */
export function keysBelow(prefix: string): KeyRange {
  return { key: prefix, end: `${prefix.slice(0, -1)}0` }
}
