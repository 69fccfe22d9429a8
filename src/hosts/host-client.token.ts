/** Injection token of the `HostClient`: a port is an interface and has no class to inject by. */
export const HOST_CLIENT = Symbol('host client');
