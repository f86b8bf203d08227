"""A process that has loaded the program once and forks itself into any part of it, in milliseconds (Linux).

Loading takes seconds of processor time and a hundred megabytes; a fork costs neither, for it shares the memory. So the
supervisor and the workers order their processes here: `python -m MODULE ARGUMENTS` becomes a fork that calls
`MODULE.main()`. A process that was forked here can order others, and they end with it.

One datagram orders one process: a descriptor of the socket on which the orderer hears of it, one of a file that holds
the order as JSON, and those for its input, output and errors. On that socket the server sends the number of the
process with a descriptor for signals, and at its end its wait status; or else why there is none, as a negative error
number. Who closes it ends the process.
"""
