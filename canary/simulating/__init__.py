"""What a gate would say of made-up traffic: its power, and the time to its verdict, before a rollout begins."""
