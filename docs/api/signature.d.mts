export function signatureOf(entry: string): string
