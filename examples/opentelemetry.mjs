// An OpenTelemetry span for each change of a store, as a child of the span that requested it.
//
//     node examples/opentelemetry.mjs ROOT
//
// A program needs only the function traceChanges; the store needs no option for it. This program prints spans as lines of
// JSON. To send them to a collector, replace Lines by an OpenTelemetry exporter and SimpleSpanProcessor by
// BatchSpanProcessor.
import { tracingChannel } from 'node:diagnostics_channel'
import { context, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { CHANGE_CHANNEL, openStore } from 'sandbox-state'

function traceChanges(tracer) {
  /** By message: a change has the same message object from start to end. */
  const spans = new WeakMap()
  tracingChannel(CHANGE_CHANNEL).subscribe({
    start(change) {
      const attributes = { 'sandbox.id': change.id, 'sandbox.reason': change.reason }
      spans.set(change, tracer.startSpan(`sandbox ${change.kind}`, { attributes }))
    },
    error(change) {
      const span = spans.get(change)
      span?.setAttribute('error.type', change.error?.code ?? 'unknown')
      span?.recordException(change.error)
      span?.setStatus({ code: SpanStatusCode.ERROR, message: change.error?.message })
    },
    asyncEnd(change) {
      const span = spans.get(change)
      span?.setAttributes({ 'sandbox.from': change.from ?? 'none', 'sandbox.to': change.to ?? 'none' })
      if (change.lockWait !== undefined) {
        span?.setAttribute('sandbox.lock.wait', change.lockWait.duration)
        span?.setAttribute('sandbox.lock.holder', change.lockWait.holder.pid)
      }
      span?.end()
    },
  })
}

class Lines {
  export(spans, done) {
    for (const { name, parentSpanContext, attributes, status } of spans) {
      console.log(
        JSON.stringify({ name, isChild: parentSpanContext !== undefined, attributes, status: status.code }),
      )
    }
    done({ code: 0 })
  }
  async shutdown() {}
}

const [root] = process.argv.slice(2)
if (root === undefined) {
  console.error('usage: node examples/opentelemetry.mjs ROOT')
  process.exit(2)
}
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(new Lines())] })
trace.setGlobalTracerProvider(provider)
const tracer = trace.getTracer('sandbox-state')
traceChanges(tracer)

const store = await openStore(root)
await store.create('web-1', {}, { reason: 'order 7' })
await tracer.startActiveSpan('GET /start', async request => {
  await store.transition('web-1', 'ready', 'running', { reason: 'first request' })
  await store.transition('web-1', 'ready', 'running').catch(() => {}) // The span records the error.
  request.end()
})
await store.delete('web-1', { force: true })
await store.close()
await provider.shutdown()
