#!/usr/bin/env node
import { run } from './run.js'

// Never process.exit(): what is still on its way to stdout would be lost.
process.exitCode = await run(process.argv.slice(2), process)
