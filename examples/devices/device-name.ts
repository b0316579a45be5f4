const browsers = [['Edg/', 'Edge'], ['OPR/', 'Opera'], ['Firefox/', 'Firefox'], ['Chrome/', 'Chrome'], ['Safari/', 'Safari'], ['curl/', 'curl']] as const
const systems = [['iPhone', 'iPhone'], ['iPad', 'iPad'], ['Android', 'Android'], ['Windows', 'Windows'], ['Mac OS X', 'macOS'], ['Linux', 'Linux']] as const

/** A name by which its user knows a device: `Firefox on Linux`. */
export function deviceName (userAgent = ''): string {
  const [browser = 'A browser', system] = [browsers, systems].map((names) => names.find(([mark]) => userAgent.includes(mark))?.[1])
  return system === undefined ? browser : `${browser} on ${system}`
}
