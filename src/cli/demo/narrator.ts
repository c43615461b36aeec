import type { Output } from '../output.js'

/** Something that was promised, and whether it was so. */
export interface Check {
  readonly claim: string
  readonly ok: boolean
}

/** Tells a story as it happens, and keeps account of what was checked on the way. */
export class Narrator {
  readonly checks: Check[] = []

  constructor(
    private readonly out: Output,
    /** Whether to keep the story to itself. */
    private readonly silent: boolean,
  ) {}

  async chapter(title: string): Promise<void> {
    await this.print('', title)
  }

  async say(...lines: readonly string[]): Promise<void> {
    await this.print(...lines.map(line => `   ${line}`))
  }

  async check(claim: string, ok: boolean): Promise<void> {
    this.checks.push({ claim, ok })
    await this.print(`   ${ok ? 'ok:' : 'FAILED:'} ${claim}`)
  }

  async print(...lines: readonly string[]): Promise<void> {
    if (this.silent) return
    await this.out.write(lines.map(line => `${line}\n`).join(''))
    await this.out.flush()
  }
}
