"""The main job, played for real: plant, gateway and cloud as separate processes, then the books."""
