"""Modbus: one unit on a line, over TCP, RTU over TCP, or a serial port."""
