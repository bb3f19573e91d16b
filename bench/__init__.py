"""Compare Barnabas side by side with Apache Kafka and Tansu on the machine at hand."""
