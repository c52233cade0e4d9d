"""What the camera does to light."""

from dipstream_simulator.sensor.sensor import Sensor, spanning_gain_e_per_dn

__all__ = ["Sensor", "spanning_gain_e_per_dn"]
