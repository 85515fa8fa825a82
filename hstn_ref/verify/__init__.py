"""Every op and every network, its values and its gradients, judged by mathematics and by other frameworks."""
