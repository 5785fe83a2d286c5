"""Many seeded trainings: study files, search, launch on Ray, records on disk, tracking in MLflow."""
