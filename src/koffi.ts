import { createRequire } from 'node:module'
import { reason } from './errno.js'
import { StateStoreError } from './errors.js'

/** koffi, which calls functions of the C library. Loaded with `require`, so that a failure can be explained. */
export const koffi = loadKoffi()

function loadKoffi(): typeof import('koffi') {
  try {
    return createRequire(import.meta.url)('koffi')
  } catch (cause) {
    const message =
      `koffi cannot be loaded (${reason(cause)}): reinstall sandbox-state and its dependencies ` +
      `on this platform (${process.platform}-${process.arch}), optional ones included`
    throw new StateStoreError('UNSUPPORTED', message, { cause })
  }
}
