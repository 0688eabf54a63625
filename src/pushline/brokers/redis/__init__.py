"""A cluster on Redis or Valkey: one connection from each node to each of them."""

from pushline.brokers.redis.broker import RedisBroker
from pushline.brokers.redis.times import Times

__all__ = ["RedisBroker", "Times"]
