import neostandard from 'neostandard'

export default neostandard({
  ts: true,
  ignores: ['dist', 'bench/node_modules', '.tap', 'examples/*/public/vendor'],
})
