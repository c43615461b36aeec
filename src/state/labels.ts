import { escapeHtml } from './go-text.js'
import { show } from './show.js'

/**
 * Labels by name, such as `{ team: 'web' }`: at most 64. A name has 1 to 63 of the characters `a-z A-Z 0-9 _ . / -` and begins
 * with a letter or digit; a value has at most 256 characters.
 */
export type Labels = Readonly<Record<string, string>>

export const NO_LABELS: Labels = Object.freeze({})

/** The most labels of a sandbox. */
export const MAX_LABELS = 64

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_./-]{0,62}$/
const LONGEST_VALUE = 256

/** What valid labels are, in words. */
export const LABELS_EXPECTED =
  'an object of at most 64 labels, each with a name of 1 to 63 of a-z A-Z 0-9 _ . / - that begins with a letter or digit, and a string of at most 256 characters'

/** Whether a text is a valid name of a label: 1 to 63 of `a-z A-Z 0-9 _ . / -`, a letter or digit first. */
export function isLabelName(name: string): boolean {
  return NAME.test(name)
}

/** Whether a value is a valid value of a label: a string of at most 256 UTF-16 units. */
export function isLabelValue(value: unknown): value is string {
  return typeof value === 'string' && value.length <= LONGEST_VALUE
}

/** The labels in a value, sorted by name; undefined when they are not valid. */
export function checkLabels(value: unknown): Labels | undefined {
  // An array or a Map, for example, is no object of labels.
  if (typeof value !== 'object' || value === null || Symbol.iterator in value) return undefined
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  if (entries.length > MAX_LABELS) return undefined
  if (!entries.every(([name, text]) => isLabelName(name) && isLabelValue(text))) return undefined
  if (entries.length === 0) return NO_LABELS
  return Object.freeze(Object.fromEntries(entries.map(([name, text]) => [name, text.toWellFormed()])))
}

/** What is wrong with a value that is not valid labels, in words: the first label at fault. */
export function showInvalidLabels(value: unknown): string {
  if (typeof value !== 'object' || value === null || Symbol.iterator in value) return show(value)
  const entries = Object.entries(value)
  const wrong = entries.find(([name, text]) => !isLabelName(name) || !isLabelValue(text))
  return wrong === undefined ? `${entries.length} labels` : wrong.map(show).join(': ')
}

/** Their JSON, sorted by name. */
export function writeLabels(labels: Labels): string {
  // Not in the order of the object, where names that are numbers come first.
  const names = Object.keys(labels).sort()
  const members = names.map(name => `${JSON.stringify(name)}:${JSON.stringify(labels[name])}`)
  return escapeHtml(`{${members.join(',')}}`)
}
