"""What several tests share: homes, toys, servers, waiting. No test imports another test."""
