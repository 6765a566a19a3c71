// In place of undici's types, which ofetch refers to: they bring the types of Node, and with them its globals.
export type Dispatcher = never;
