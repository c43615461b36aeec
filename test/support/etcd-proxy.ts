import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { promisify } from 'node:util'
import { openStore } from 'sandbox-state'
import { onTestFinished } from 'vitest'
import type { TestEtcd } from './etcd.js'

/** One request that goes through: what is asked, and by which path. */
export interface Passing {
  readonly path: string
  readonly body: string
}

/** What happens to a request before etcd has seen it, or to its answer after; `refuse` answers as a server that is not etcd. */
export type Verdict = 'pass' | 'cut' | 'refuse'

/** Stands between a store and an etcd, and disturbs their connection as a test wants. */
export class EtcdProxy {
  /** Asked before a request goes on. */
  before: (passing: Passing) => Verdict | Promise<Verdict> = () => 'pass'
  /** Asked when etcd has answered and the store has not heard it. */
  after: (passing: Passing, answer: string) => Verdict | Promise<Verdict> = () => 'pass'
  /** May replace a request's body. */
  rewrite: (passing: Passing) => string = ({ body }) => body
  /** How many requests came, by path. */
  readonly counts = new Map<string, number>()
  /** Watches that etcd has answered. */
  opened = 0
  private readonly watches = new Set<Socket>()
  private readonly server: Server

  private constructor(private readonly target: number) {
    this.server = createServer((incoming, answer) => {
      this.pass(incoming, answer).catch(() => incoming.socket.destroy()) // As where there is no etcd.
    })
    this.server.keepAliveTimeout = 0 // It closes no idle connection by itself.
  }

  static async start(target: number): Promise<EtcdProxy> {
    const proxy = new EtcdProxy(target)
    proxy.server.listen(0, '127.0.0.1')
    await once(proxy.server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** How many connections stores have open. */
  connections(): Promise<number> {
    return promisify(this.server.getConnections.bind(this.server))()
  }

  /** Breaks every watch that is under way, in the middle of an answer. */
  cutWatches(): number {
    const cut = this.watches.size
    for (const socket of this.watches) {
      socket.write('1c\r\n{"result":{"header":{"revis')
      setImmediate(() => socket.destroy())
    }
    this.watches.clear()
    return cut
  }

  /** From now on nothing comes through, and no connection is closed: as a process that was stopped. */
  freeze(): void {
    this.before = () => new Promise(() => {})
    for (const socket of this.watches) socket.cork()
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise(resolve => this.server.close(resolve))
  }

  private async pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const path = incoming.url ?? ''
    const body = await textOf(incoming)
    const passing = { path, body }
    this.counts.set(path, (this.counts.get(path) ?? 0) + 1)
    const verdict = await this.before(passing)
    if (verdict === 'cut') return void incoming.socket.destroy()
    if (verdict === 'refuse') return void answer.writeHead(404).end()
    const onwardBody = this.rewrite(passing)
    const { host: _, 'content-length': __, ...headers } = incoming.headers
    const onward = request({ host: '127.0.0.1', port: this.target, path, method: 'POST', headers })
    onward.on('error', () => incoming.socket.destroy())
    onward.end(onwardBody)
    const [response] = (await once(onward, 'response')) as [IncomingMessage]
    if (path === '/v3/watch') {
      const { socket } = incoming
      this.watches.add(socket)
      this.opened++
      socket.once('close', () => {
        this.watches.delete(socket)
        onward.destroy()
      })
      response.on('error', () => {})
      answer.writeHead(response.statusCode ?? 500)
      response.pipe(answer)
      return
    }
    const text = await textOf(response)
    if ((await this.after(passing, text)) === 'cut') return void incoming.socket.destroy()
    answer.writeHead(response.statusCode ?? 500).end(text)
  }
}

/** Whether a request asks for a change, not only a read. */
export function isChange({ path, body }: Passing): boolean {
  return path === '/v3/kv/txn' && body.includes('"compare":[{')
}

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

/** Two stores on one new root: `store` sees etcd through a proxy, `other` itself, as from another host. */
export async function storesBesideProxy(etcd: TestEtcd) {
  const proxy = await EtcdProxy.start(etcd.member.clientPort)
  const root = etcd.newRoot()
  const prefix = new URL(root).pathname
  const store = await openStore(`etcd://127.0.0.1:${proxy.port}${prefix}`)
  const other = await openStore(root)
  onTestFinished(async () => {
    await store.close()
    await other.close()
    await proxy.close()
  })
  return { proxy, prefix, store, other }
}
