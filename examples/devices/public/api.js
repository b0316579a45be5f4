import { ask } from '/shared/ask.js'

export const me = () => ask('GET', 'me')
export const signUp = (form) => ask('POST', 'accounts', form)
export const logIn = (form) => ask('POST', 'login', form)
export const logInAgain = (password) => ask('POST', 'login/again', { password })
export const logOut = () => ask('POST', 'logout')
export const endDevice = (id) => ask('DELETE', `devices/${id}`)
export const endOthers = () => ask('DELETE', 'devices')
export const setRole = (role) => ask('PUT', 'role', { role })
export const pin = (text) => ask('POST', 'notes', { text })
export const setPassword = (password) => ask('PUT', 'password', { password })
