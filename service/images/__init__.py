"""Images, each made in three sizes and two formats. Read subject, kinds, models, routes, schemas.

actors/images.py does the work, and actors/imaging/ has what it does with pixels.
"""
