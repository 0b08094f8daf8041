"""Connectors: from machines to frames. They know the ports and not one another."""

from pathlib import Path

from connectors.modbus import ModbusConfig, ModbusConnector
from connectors.opcua import OpcuaConfig, OpcuaConnector
from gateway.core.ports import Clock, Connector

ConnectorConfig = ModbusConfig | OpcuaConfig
"""The settings of any connector, told apart by `type`."""


def build_connector(
    name: str, config: ConnectorConfig, *, folder: Path, state_folder: Path, clock: Clock
) -> Connector:
    """Return the connector for its settings; nothing is connected.

    Args:
        name: Name of the connector in the configuration.
        config: Its settings.
        folder: That of the configuration file; files named in `config` start there.
        state_folder: Where connectors keep what must outlive a restart.
        clock: Time.
    Raises:
        ConfigError: with every mistake that can be found without connecting.
    """
    match config:
        case ModbusConfig():
            return ModbusConnector(name, config, folder=folder, clock=clock)
        case OpcuaConfig():
            return OpcuaConnector(
                name, config, folder=folder, state_folder=state_folder, clock=clock
            )


__all__ = [
    "ConnectorConfig",
    "ModbusConfig",
    "ModbusConnector",
    "OpcuaConfig",
    "OpcuaConnector",
    "build_connector",
]
