import { Buffer } from 'node:buffer'
import {
  Agent,
  type AgentOptions,
  type ClientRequest,
  type IncomingMessage,
  request as requestHttp,
} from 'node:http'
import { Agent as AgentTls, request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { errorIn, errorOfAnswer, GatewayError } from './gateway-error.js'
import type { EtcdOptions } from './options.js'
import { secureContext } from './secure-context.js'

/** How long a member may take to answer, in ms; then another one is asked. */
export const REQUEST_TIMEOUT = 2_000
/** How often a stream that says nothing is checked for a member that is still there, in ms. */
const SILENCE = 5_000
/** Of one answer, or one line of a stream: more than a page of the largest values that etcd takes by default. */
const MAX_ANSWER_BYTES = 320 * 1024 * 1024
/** At once, to one member. More would only wait there. */
const MAX_SOCKETS = 64

/** One member of etcd, over the JSON gateway of its client port. Sockets that are idle keep no process alive. */
export class Endpoint {
  private readonly calls: Agent
  private readonly streams: Agent
  private readonly connected = new WeakSet<Socket>()

  constructor(
    /** Such as `http://127.0.0.1:2379`. */
    readonly origin: string,
    options: EtcdOptions,
  ) {
    const tls = origin.startsWith('https:') ? { secureContext: secureContext(options) } : undefined
    const agentWith = (pool: AgentOptions) => (tls ? new AgentTls({ ...pool, ...tls }) : new Agent(pool))
    this.calls = agentWith({ keepAlive: true, maxSockets: MAX_SOCKETS })
    this.streams = agentWith({ keepAlive: false })
  }

  /**
   * Asks once. Neither the wait for a free socket nor that for an answer takes longer than {@link REQUEST_TIMEOUT}:
   * however many wait for a member that says nothing, all of them soon ask another.
   * @param deadline on the clock of `performance.now()`
   * @param signal ends it
   * @throws GatewayError
   */
  post(
    path: string,
    body: string,
    token: string | undefined,
    deadline: number,
    signal?: AbortSignal,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { request, wasSent } = this.start(this.calls, path, body, token, signal)
      const fail = (error: unknown) => {
        clearTimeout(timer)
        reject(asGatewayError(error, wasSent()))
      }
      const expire = () => {
        const ms = Math.max(Math.round(Math.min(deadline - performance.now(), REQUEST_TIMEOUT)), 1)
        return setTimeout(() => {
          request.destroy()
          // A request without a socket would say only when it is given one that it was destroyed.
          fail(new Error(`no answer within ${ms} ms`))
        }, ms)
      }
      let timer = expire()
      request.once('socket', () => {
        if (request.destroyed) return
        clearTimeout(timer)
        timer = expire()
      })
      request.once('error', fail)
      request.once('response', response => {
        readAll(response).then(text => {
          clearTimeout(timer)
          const answer = parse(text)
          if (response.statusCode === 200) resolve(answer)
          else reject(errorOfAnswer(response.statusCode ?? 0, answer, text))
        }, fail)
      })
    })
  }

  /**
   * Asks for a stream of answers, one JSON text a line.
   * @param probe a request that this member answers by itself: while the stream is silent, it tells whether the
   * member lives, which the connection does not when a process was stopped or a network path is gone
   * @throws GatewayError when the stream ends, unless `signal` ends it
   */
  async *stream(
    path: string,
    body: string,
    token: string | undefined,
    probe: { readonly path: string; readonly body: string },
    signal: AbortSignal,
  ): AsyncGenerator<unknown, void, undefined> {
    if (signal.aborted) return
    const { request, wasSent } = this.start(this.streams, path, body, token, signal)
    const fail = (message: string, cause?: unknown) => request.destroy(new Error(message, { cause }))
    const late = () => fail(`no answer within ${REQUEST_TIMEOUT} ms`)
    let ended = false
    let timer = setTimeout(late, REQUEST_TIMEOUT)
    const heard = () => {
      clearTimeout(timer)
      if (!ended) timer = setTimeout(check, SILENCE)
    }
    const check = () => {
      this.post(probe.path, probe.body, token, performance.now() + REQUEST_TIMEOUT).then(heard, error => {
        if (error.failure === 'unknown' || error.failure === 'undone') fail('the member is silent', error)
        else heard()
      })
    }
    try {
      const response = await responseOf(request)
      if (response.statusCode !== 200) {
        const text = await readAll(response)
        throw errorOfAnswer(response.statusCode ?? 0, parse(text), text)
      }
      for await (const line of linesOf(response)) {
        heard()
        const answer = parse(line)
        const error = errorIn(answer)
        if (error !== undefined) throw error
        yield answer
      }
      throw new Error('the stream ended')
    } catch (error) {
      if (!signal.aborted) throw asGatewayError(error, wasSent())
    } finally {
      ended = true
      clearTimeout(timer)
      request.destroy()
    }
  }

  close(): void {
    this.calls.destroy()
    this.streams.destroy()
  }

  private start(agent: Agent, path: string, body: string, token: string | undefined, signal?: AbortSignal) {
    const send = agent instanceof AgentTls ? requestHttps : requestHttp
    const request = send(`${this.origin}${path}`, {
      agent,
      method: 'POST',
      signal,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        // For streams: an end with an error, rather than silence, from a member that has lost its leader.
        'grpc-metadata-hasleader': 'true',
        ...(token === undefined ? {} : { authorization: token }),
      },
    })
    let sent = false
    request.once('socket', socket => {
      sent = this.connected.has(socket)
      if (sent) return
      socket.once(agent instanceof AgentTls ? 'secureConnect' : 'connect', () => {
        this.connected.add(socket)
        sent = true
      })
    })
    // An error may come before anyone listens, or after everyone has gone.
    request.on('error', () => {})
    request.end(body)
    return { request, wasSent: () => sent }
  }
}

function responseOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve)
    request.once('error', reject)
    request.once('close', () => reject(new Error('the connection was closed')))
  })
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new Error(TOO_LARGE)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The whole lines of a body. One that the end cuts short is none. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end))
      yield Buffer.concat(parts).toString('utf8')
      parts = []
      length = 0
      start = end + 1
    }
    parts.push(chunk.subarray(start))
    length += chunk.length - start
    if (length > MAX_ANSWER_BYTES) throw new Error(TOO_LARGE)
  }
}

const TOO_LARGE = `the answer is larger than ${MAX_ANSWER_BYTES} bytes`

/** An answer that is none: the caller, who looks for its fields, says so. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What never reached a member had no effect; nor does it have one where no etcd is that we trust, or that trusts us. */
function asGatewayError(error: unknown, sent: boolean): GatewayError {
  if (error instanceof GatewayError) return error
  const { message, code = '', reason } = error as NodeJS.ErrnoException & { reason?: unknown }
  const failure = TLS_REFUSAL.test(code) || (!sent && TLS_FAILURE.test(code)) ? 'unusable' : undefined
  const text = typeof reason === 'string' ? `TLS: ${reason}` : message || code
  return new GatewayError(failure ?? (sent ? 'unknown' : 'undone'), text, { cause: error })
}

/** OpenSSL's and Node's codes for a handshake that failed, or a certificate that is not trusted. */
const TLS_FAILURE = /^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/

/** A member's word on our own certificate, which in TLS 1.3 comes only after we believe to be connected. */
const TLS_REFUSAL = /^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA)/
