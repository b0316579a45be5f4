/**
 * Follows server-sent events; the browser comes back by itself when the connection is lost.
 * @returns a function that stops
 */
export function follow (path, listeners, onConnection) {
  const source = new window.EventSource(`/api/${path}`)
  for (const [event, listener] of Object.entries(listeners)) source.addEventListener(event, ({ data }) => listener(JSON.parse(data)))
  source.onopen = () => onConnection?.('open')
  source.onerror = () => onConnection?.(source.readyState === window.EventSource.CLOSED ? 'refused' : 'lost')
  return () => source.close()
}
