import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { effort, long } from '../support/effort.js'
import { describeEtcd, TestEtcd } from '../support/etcd.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { until } from '../support/wait.js'

/** In seconds. */
const LEASE = 3
const PROCESSES = 4
const ROUNDS = effort(0, 2, 40)

describe.runIf(long)('owners on etcd that are killed and stopped', () => {
  describeEtcd('while its leader is killed', () => {
    test('act one after another, and never again once another has', {
      timeout: 60_000 + ROUNDS * 30_000,
    }, async () => {
      const etcd = await TestEtcd.ready(3)
      onTestFinished(() => etcd.stop())
      const root = etcd.newRoot()
      const store = await openTestStore(root)
      await store.create('a')
      const log = join(temporaryFolder(), 'log')
      let owner: ChildProcess | undefined
      const start = async () => {
        const program = startProgram('etcd-owner-load', [root, String(LEASE), log])
        await nextMessage(program)
        program.on('message', () => {
          owner = program
        })
        return program
      }
      const tenures = () => readFileSync(log, 'utf8').trimEnd().split('\n')
      /** Waits until the next one owns it and has acted. */
      const progress = async (before = owner) => {
        await until('there is another owner', () => owner !== undefined && owner !== before)
        const count = tenures().length
        await until('it acts', () => tenures().length > count)
      }
      for (let i = 0; i < PROCESSES; i++) await start()
      await until('one acts', () => owner !== undefined)
      for (let round = 0; round < ROUNDS; round++) {
        const killed = owner
        await start()
        killed?.kill('SIGKILL')
        await progress(killed)
        const stopped = owner
        stopped?.send('stop')
        await progress(stopped)
        stopped?.kill('SIGCONT')
        const leader = await etcd.leader()
        await leader.kill()
        await progress()
        leader.start()
        await etcd.untilReady()
        await sleep(Math.random() * LEASE * 1000) // The next round may begin at any time of a lease.
      }
      const all = tenures()
      const distinct = new Set(all)
      expect(distinct.size).toBeGreaterThan(3 * ROUNDS)
      // A tenure that is over never comes again.
      expect(all.filter((tenure, i) => tenure !== all[i - 1])).toEqual([...distinct])
    })
  })
})
