"""Connectors: from machines to frames. They know the ports and not one another."""

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from connectors.opcua.connector import OpcuaConfig, OpcuaConnector

__all__ = ["ModbusConfig", "ModbusConnector", "OpcuaConfig", "OpcuaConnector"]
