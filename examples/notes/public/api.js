import { ask } from '/shared/ask.js'

export const authors = () => ask('GET', 'authors')
export const signUp = (name, email) => ask('POST', 'authors', { name, email })
export const notes = () => ask('GET', 'notes')
export const note = (id) => ask('GET', `notes/${id}`)
export const addNote = (title, author) => ask('POST', 'notes', { title, author })
export const save = (id, { title, text, author, version }) => ask('PUT', `notes/${id}`, { title, text, author, version })
