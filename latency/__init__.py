"""Turns sessions on devices and entries of tables into latencies with intervals and conditions."""
