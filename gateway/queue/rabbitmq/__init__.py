"""The queue on RabbitMQ: lanes that lose nothing, behind the same port as the embedded file (D-8…D-11)."""
