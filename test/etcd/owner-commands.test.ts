import { afterAll, beforeAll, expect, it } from 'vitest'
import { Root } from '../cli/support.js'
import { describeEtcd, TestEtcd } from '../support/etcd.js'

describeEtcd('the commands about owners, on etcd', () => {
  let etcd: TestEtcd
  beforeAll(async () => {
    etcd = await TestEtcd.ready()
  })
  afterAll(() => etcd?.stop())

  it.each(['orphans', 'reap', 'list --orphaned', 'run a -- true', 'run b --create -- true'])(
    '%s is unsupported, and changes nothing',
    async line => {
      const root = new Root(etcd.newRoot())
      await root.done('create a')
      const { status, stderr } = await root.cli(line)
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: 'sandbox-state: UNSUPPORTED: a store of this kind has no owners\n',
      })
      expect(await root.done('list')).toMatch(/^ID .*\na +ready +\d+s +- +-\n$/)
    },
  )

  it('metrics has neither orphans nor locks', async () => {
    const root = new Root(etcd.newRoot())
    await root.done('create a')
    const text = await root.done('metrics')
    expect(text).toContain('\nsandbox_state_sandboxes{state="ready"} 1\n')
    expect(text).toContain('\nsandbox_state_unreadable 0\n')
    expect(text).not.toMatch(/orphans|locks/)
  })
})
