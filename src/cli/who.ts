import { hostname } from 'node:os'
import { visible } from '../state/show.js'

/** What is known of a process. */
export interface Who {
  readonly pid?: number
  readonly host?: string
  readonly command?: string
}

/** Such as `pid 4711 (node server.js)`; the host only when it is another one. */
export function whoWords({ pid, host, command }: Who): string {
  if (pid === undefined) return 'an unknown process'
  const words = [`pid ${pid}`]
  if (command) words.push(`(${visible(command)})`)
  if (host !== undefined && host !== hostname()) words.push(`on ${visible(host)}`)
  return words.join(' ')
}
