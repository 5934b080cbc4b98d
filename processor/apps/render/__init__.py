"""Values as JSON for machines and as text for people; nothing here reads or writes anything."""
