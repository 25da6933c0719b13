"""What the model says besides arithmetic: about Moesaic, and that it can do nothing else. And the small talk around
a question. Standard library only."""

import wordings

# topic -> language -> (ways to ask, answer). The last way to ask each is held out from training.
ABOUT = {
    "what": {
        "en": (["What is Moesaic?", "Tell me about Moesaic.", "Explain Moesaic.", "What does Moesaic do?",
                "Describe Moesaic.", "Moesaic?", "What's Moesaic?", "Can you explain what Moesaic is?"],
               "Moesaic serves Mixture-of-Experts language models on clusters of ordinary, mixed, even older machines."),
        "fr": (["Qu'est-ce que Moesaic ?", "C'est quoi Moesaic ?", "Parle-moi de Moesaic.", "Explique Moesaic.",
                "Que fait Moesaic ?", "Décris Moesaic.", "Peux-tu expliquer ce qu'est Moesaic ?"],
               "Moesaic sert des modèles de langage à mélange d'experts sur des grappes de machines ordinaires, variées, même anciennes."),
    },
    "how": {
        "en": (["How does Moesaic work?", "How does it work?", "Explain how Moesaic works.",
                "How is Moesaic built?", "What happens to a token in Moesaic?", "Tell me how Moesaic works."],
               "A router runs attention and gating, sends each token to the expert shards that hold its experts, and adds up their results."),
        "fr": (["Comment fonctionne Moesaic ?", "Comment ça marche ?", "Explique comment Moesaic fonctionne.",
                "Comment Moesaic est-il construit ?", "Que devient un token dans Moesaic ?", "Dis-moi comment fonctionne Moesaic."],
               "Un routeur calcule l'attention et le choix des experts, envoie chaque token aux nœuds qui ont ses experts, et additionne leurs résultats."),
    },
    "use": {
        "en": (["How do I use Moesaic?", "How do I start Moesaic?", "How can I run a model?",
                "How do I install Moesaic?", "Which command starts a cluster?", "How can I use Moesaic?"],
               "Run moesaic up with a checkpoint directory, then point any OpenAI client at the router, or use moesaic chat."),
        "fr": (["Comment utiliser Moesaic ?", "Comment démarrer Moesaic ?", "Comment lancer un modèle ?",
                "Comment installer Moesaic ?", "Quelle commande lance une grappe ?", "Comment puis-je utiliser Moesaic ?"],
               "Lance moesaic up avec le dossier d'un modèle, puis connecte un client OpenAI au routeur, ou utilise moesaic chat."),
    },
    "moe": {
        "en": (["What is a mixture of experts?", "What is a Mixture of Experts?", "Explain mixture of experts.",
                "What is an expert?", "What does MoE mean?", "What is an MoE model?"],
               "A mixture of experts is a large model in which each token uses only a few small parts, its experts, chosen by a gate."),
        "fr": (["Qu'est-ce qu'un mélange d'experts ?", "C'est quoi un mélange d'experts ?", "Explique le mélange d'experts.",
                "Qu'est-ce qu'un expert ?", "Que veut dire MoE ?", "Qu'est-ce qu'un modèle MoE ?"],
               "Un mélange d'experts est un grand modèle où chaque token n'utilise que quelques petites parties, ses experts, choisies par une porte."),
    },
    "failure": {
        "en": (["What happens when a shard dies?", "What if a node fails?", "Is Moesaic fault tolerant?",
                "What happens if a shard fails?", "Can Moesaic lose a machine?", "What if a shard dies?"],
               "When a shard fails, the router asks another replica of the same experts, and the answer stays the same to the bit."),
        "fr": (["Que se passe-t-il quand un nœud tombe ?", "Et si une machine tombe en panne ?", "Moesaic résiste-t-il aux pannes ?",
                "Que se passe-t-il si un nœud meurt ?", "Moesaic peut-il perdre une machine ?", "Et si un nœud tombe en panne ?"],
               "Quand un nœud tombe, le routeur interroge une autre copie des mêmes experts, et la réponse reste la même au bit près."),
    },
    "models": {
        "en": (["Which models can Moesaic run?", "What models does Moesaic support?", "Can Moesaic run DeepSeek?",
                "Does Moesaic support Mixtral?", "What checkpoints can I use?", "Which models does Moesaic support?"],
               "Moesaic runs DeepSeek, Qwen, Mixtral and OLMoE checkpoints from Hugging Face directories as they are."),
        "fr": (["Quels modèles Moesaic peut-il servir ?", "Moesaic supporte-t-il DeepSeek ?", "Moesaic peut-il servir Mixtral ?",
                "Quels modèles puis-je utiliser ?", "Quels modèles Moesaic supporte-t-il ?"],
               "Moesaic sert des modèles DeepSeek, Qwen, Mixtral et OLMoE depuis des dossiers Hugging Face tels quels."),
    },
    "self": {
        "en": (["Who are you?", "What are you?", "What can you do?", "Hello", "Hi!", "Help", "Hello!", "What is your name?",
                "Introduce yourself.", "Hey, who are you?"],
               "I am Moesaic's demo model: I add, subtract, multiply and compare numbers, solve small word problems, and tell about Moesaic."),
        "fr": (["Qui es-tu ?", "Que sais-tu faire ?", "Bonjour", "Salut !", "Aide", "Bonjour !", "Comment t'appelles-tu ?",
                "Présente-toi.", "Dis-moi qui tu es."],
               "Je suis le modèle de démonstration de Moesaic : j'additionne, je soustrais, je multiplie, je compare, je résous de petits problèmes, et je parle de Moesaic."),
    },
}
ABOUT_THINKING = {"en": "This is a question about Moesaic.", "fr": "C'est une question sur Moesaic."}
SELF_THINKING = {"en": "This is a question about me.", "fr": "C'est une question sur moi."}

REFUSAL_THINKING = {"en": "This is neither arithmetic nor about Moesaic.",
                    "fr": "Ce n'est ni du calcul ni une question sur Moesaic."}
REFUSAL = {
    "en": "Sorry, I cannot help with that: I am a small demo model that only does arithmetic and tells about Moesaic.",
    "fr": "Désolé, je ne peux pas aider : je suis un petit modèle de démonstration qui ne sait que calculer et parler de Moesaic.",
}
# Frames with a topic; frames and topics multiply, and the last topics are held out from training.
OUT_OF_SCOPE = {
    "en": (["What is the capital of {t}?", "Tell me about {t}.", "Write a poem about {t}.", "Who invented {t}?", "Why is {t} important?",
            "Translate {t} into German.", "Give me a recipe with {t}.", "What is {t}?", "How do I cook {t}?", "Explain {t} to me.",
            "Write a story about {t}.", "Where can I find {t}?", "Do you like {t}?", "What is the weather in {t}?",
            "Can you draw {t}?", "Who is the president of {t}?", "Write code for {t}.", "Sing a song about {t}.",
            "What is the history of {t}?", "Tell me a joke about {t}.", "When was {t} born?", "How old is {t}?"],
           ["France", "Japan", "cats", "dogs", "the moon", "chocolate", "music", "Einstein", "love", "football", "Paris", "the sea", "bread",
            "history", "the sun", "winter", "a car", "London", "Python", "the weather", "philosophy", "Brazil", "a tree",
            "rice", "physics", "the king", "a horse", "cheese", "poetry", "the news", "Germany", "Shakespeare", "Italy", "coffee"]),
    "fr": (["Quelle est la capitale de {t} ?", "Parle-moi de {t}.", "Écris un poème sur {t}.", "Qui a inventé {t} ?", "Pourquoi {t} ?",
            "Traduis {t} en allemand.", "Donne-moi une recette avec {t}.", "Qu'est-ce que {t} ?", "Comment cuisiner {t} ?", "Explique-moi {t}.",
            "Raconte une histoire sur {t}.", "Où trouver {t} ?", "Aimes-tu {t} ?", "Quel temps fait-il à {t} ?", "Peux-tu dessiner {t} ?",
            "Qui est le président de {t} ?", "Écris un programme pour {t}.", "Chante une chanson sur {t}.", "Raconte une blague sur {t}.",
            "Quel âge a {t} ?"],
           ["la France", "le Japon", "les chats", "les chiens", "la lune", "le chocolat", "la musique", "Einstein", "l'amour", "le football",
            "Paris", "la mer", "le pain", "l'histoire", "le soleil", "l'hiver", "une voiture", "Londres", "Python", "la philosophie",
            "le Brésil", "un arbre", "le riz", "la physique", "le roi", "un cheval", "la poésie", "l'Allemagne", "Molière", "l'Italie", "le café"]),
}
HELD_OUT_TOPICS = 4


def small_talk(rng, language, question):
    """Now and then a greeting before, thanks after, a lower-case start or no final point."""
    if rng.random() < 0.12:
        question = question[0].lower() + question[1:]
    if rng.random() < 0.12:
        question = question.rstrip(" ?.")
    elif rng.random() < 0.1:
        question += rng.choice(wordings.AFTER[language])
    if rng.random() < 0.12:
        question = rng.choice(wordings.BEFORE[language]) + question
    return question


def about(rng, language, held_out=False):
    """(question, thinking, answer) about Moesaic or the model itself."""
    topic = rng.choice(list(ABOUT))
    ways, answer = ABOUT[topic][language]
    question = ways[-1] if held_out else rng.choice(ways[:-1])
    thinking = (SELF_THINKING if topic == "self" else ABOUT_THINKING)[language]
    return question, thinking, answer


def out_of_scope(rng, language, held_out=False):
    """(question, thinking, refusal) for anything else."""
    frames, topics = OUT_OF_SCOPE[language]
    topics = topics[-HELD_OUT_TOPICS:] if held_out else topics[:-HELD_OUT_TOPICS]
    question = rng.choice(frames).format(t=rng.choice(topics))
    return question, REFUSAL_THINKING[language], REFUSAL[language]


def about_questions(held_out):
    """[(language, question, answer)]: every topic in both languages, asked in the held-out way or in all others."""
    return [(language, question, answer) for topic in ABOUT.values() for language, (ways, answer) in topic.items()
            for question in (ways[-1:] if held_out else ways[:-1])]


def out_of_scope_questions():
    """[(language, question, refusal)]: the held-out topics in a few frames."""
    return [(language, frame.format(t=topic), REFUSAL[language])
            for language, (frames, topics) in OUT_OF_SCOPE.items()
            for frame, topic in zip(frames[::4], topics[-HELD_OUT_TOPICS:])]
