/** Forbids imports of other parts than the given ones. `from` and `to` are names of folders and files of lib/. */
function mayImport (from, ...to) {
  return {
    name: `${from}-imports`,
    comment: `lib/${from} may import only: ${[from, ...to].join(', ')}`,
    severity: 'error',
    from: { path: `^lib/${from}(/|\\.ts$)` },
    to: { path: '^lib/', pathNot: `^lib/(${[from, ...to].join('|')})(/|\\.ts$)` },
  }
}

const drivers = '(^|/)node_modules/(ioredis|redis|@redis|neo4j-driver|ravendb)/'

export default {
  forbidden: [
    mayImport('util', 'errors'),
    mayImport('core', 'util', 'errors'),
    mayImport('stores', 'util', 'errors'),
    mayImport('token', 'core', 'stores', 'util', 'errors'),
    mayImport('neo4j', 'core', 'util', 'errors'),
    mayImport('ravendb', 'core', 'util', 'errors'),
    mayImport('plugin', 'core', 'token', 'util', 'errors'),
    mayImport('testing', 'plugin', 'core', 'errors'),
    mayImport('conformance', 'stores', 'util', 'errors'),
    mayImport('cli', 'token', 'stores', 'util', 'errors'),
    mayImport('errors'),
    {
      name: 'no-import-of-the-top',
      comment: 'lib/index.ts, lib/cli and lib/conformance are entry points: no other part imports them',
      severity: 'error',
      from: { path: '^lib/([^/]+)' },
      to: { path: '^lib/(index\\.ts$|cli/|conformance/)', pathNot: '^lib/$1(/|$)' },
    },
    {
      name: 'no-circular',
      comment: 'Circular imports, also of types. The type of a file may name the file itself.',
      severity: 'error',
      from: { path: '(.+)' },
      to: { circular: true, pathNot: '^$1$' },
    },
    {
      name: 'drivers-as-types-only',
      comment: 'The drivers are optional: an application without one of them installs and type-checks. Only the command loads ioredis, when it runs.',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/cli/connection\\.ts$' },
      to: { path: drivers, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'driver-of-the-command',
      comment: 'The command loads ioredis when it connects, so that --help works without it',
      severity: 'error',
      from: { path: '^lib/cli/connection\\.ts$' },
      to: { path: drivers, dependencyTypesNot: ['type-only'], dynamic: false },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
}
