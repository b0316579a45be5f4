/** An answer that says no; `code` is the server's own name for the reason. A conflict comes with `theirs`. */
export class Refusal extends Error {
  constructor (status, { code, message, theirs }) {
    super(message)
    this.status = status
    this.code = code
    this.theirs = theirs
  }
}

async function ask (method, path, body) {
  const response = await fetch(`/api/${path}`, {
    method,
    cache: 'no-store',
    ...body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
  })
  const answer = await response.json().catch(() => ({ message: response.statusText }))
  if (!response.ok) throw new Refusal(response.status, answer)
  return answer
}

export const authors = () => ask('GET', 'authors')
export const signUp = (name, email) => ask('POST', 'authors', { name, email })
export const notes = () => ask('GET', 'notes')
export const note = (id) => ask('GET', `notes/${id}`)
export const addNote = (title, author) => ask('POST', 'notes', { title, author })
export const save = (id, { title, text, author, version }) => ask('PUT', `notes/${id}`, { title, text, author, version })
