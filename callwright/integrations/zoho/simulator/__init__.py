"""Zoho's side of the wire: accounts server and CRM API version 8, on loopback, as strict as the pages say."""

from callwright.integrations.zoho.simulator.service import ZohoSimulator

__all__ = ["ZohoSimulator"]
