"""Durable workflows in the Amazon States Language, with Kafka as the only shared infrastructure."""
