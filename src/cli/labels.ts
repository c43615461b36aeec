import { InvalidArgumentError, Option } from 'commander'
import { isLabelName, isLabelValue, type Labels, MAX_LABELS } from '../state/labels.js'
import { visible } from '../state/show.js'
import { UsageError } from './errors.js'

/** `--label`, which collects labels. */
export function labelOption(description: string): Option {
  return new Option('--label <k=v>', description).argParser(addLabel)
}

/** For a command that looks for labels. */
export const WITH_LABEL = labelOption('only those with this label; if repeated, with all of them')

/** `--unlabel`, which collects names of labels. */
export const UNLABEL = new Option('--unlabel <k>', 'remove this label; may be repeated').argParser(addName)

function addLabel(text: string, others: Labels = {}): Labels {
  const [name = ''] = text.split('=', 1)
  if (name === text) throw new InvalidArgumentError('It must be NAME=VALUE, such as team=a.')
  assertName(name)
  const value = text.slice(name.length + 1)
  if (!isLabelValue(value))
    throw new UsageError(`the value of the label ${name} must have at most 256 characters`)
  if (Object.hasOwn(others, name)) throw new InvalidArgumentError(`The label ${name} is given twice.`)
  const labels = { ...others, [name]: value }
  if (Object.keys(labels).length > MAX_LABELS) {
    throw new InvalidArgumentError(`There can be at most ${MAX_LABELS} labels.`)
  }
  return labels
}

function addName(name: string, others: readonly string[] = []): readonly string[] {
  assertName(name)
  return [...others, name]
}

function assertName(name: string): void {
  if (isLabelName(name)) return
  throw new InvalidArgumentError(
    'The name must have 1 to 63 letters, digits, _ . / or -, and begin with a letter or digit.',
  )
}

/** Such as `app=web,team=a`. */
export function labelWords(labels: Labels = {}, none = '-'): string {
  const words = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  return visible(words.sort().join(',')) || none
}
